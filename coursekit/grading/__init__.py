"""Release exercises and grade submissions; knows nothing of labs."""
