"""Where applications, requests and responses keep things."""
