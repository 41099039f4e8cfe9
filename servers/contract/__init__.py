"""What every stack must answer: routes, requests with their exact answers, and the messages of WebSockets."""
