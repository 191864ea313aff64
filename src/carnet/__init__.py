"""Carnet: passports (JSON Web Tokens) for users and services, checked on the spot with public keys alone."""

__version__ = "0.1.0"
