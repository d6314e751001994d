"""Under which words `blfd --help` lists its commands, in this order."""

SERVER = "The server"
LOOKING = "What goes on"
PEOPLE = "Who calls and watches"
OUTSIDE = "Lines and lamps of others"
SITE = "The site"
ORDER = (SERVER, LOOKING, PEOPLE, OUTSIDE, SITE)
