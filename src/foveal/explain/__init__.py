"""What a network looks at, what it likes, and what its architecture buys. It knows `Network`, never a task."""
