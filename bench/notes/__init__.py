"""The experiments of the study notes, with what they print beside ours."""
