"""`meterlink demo`: the whole product at work in one story, with no hardware and no network."""
