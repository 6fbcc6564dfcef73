"""Publishing readings to an MQTT broker, as Home Assistant discovers them."""
