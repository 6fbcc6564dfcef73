"""What a user can ask of a meter; each command declares its permission."""
