"""PJSIP, and nothing else of blfd: C callbacks become inputs, effects become calls.

The only importer of cffi and of the PJSUA2 wheel. docs/architecture.md says how and why PJSIP is bound so.
"""
