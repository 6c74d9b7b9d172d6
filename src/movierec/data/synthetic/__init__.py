"""Made-up ratings in the shape of a MovieLens release."""
