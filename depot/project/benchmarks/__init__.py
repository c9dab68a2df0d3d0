"""What `manage.py benchmark` measures: one module a subject."""
