"""In which order middleware and hooks run, and what each of them sees."""
