"""SIP's message layer in plain Python (RFC 3261, sections 7, 18.2, 19.1, 20): octets to values and back."""
