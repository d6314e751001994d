"""The files of phones, over HTTP: to each phone its own."""
