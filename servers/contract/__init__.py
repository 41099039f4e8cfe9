"""What every stack must answer: routes, requests with exact answers, messages of WebSockets."""
