"""Extensions whose calls others carry: what is published of them, and what that comes to."""
