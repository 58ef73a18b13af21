"""agegender: train, judge and ship networks that read age and gender from one face image."""

__version__ = "0.1.0"
