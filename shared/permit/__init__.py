"""Permit: software licences, issued, checked and enforced."""

VERSION = "0.1.0"
