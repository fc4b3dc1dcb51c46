"""How far processes of one program lie apart, why, and what that means for verdicts.

    python -m tools.between_processes measure    record processes (an hour of a quiet machine)
    python -m tools.between_processes evaluate   what they come to

Recorded are sets of processes. All processes of a set make their rounds together, so the moods of
the machine meet all of them alike. A set has two fresh processes of one variant in each arm: an
environment in which its processes start. The true ratio of two in one arm is 1.
"""
