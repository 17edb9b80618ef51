package tunnel

// RelayQuestion is what a server process says to another one first: which agent
// it wants to reach, and which process it means. Both prove to have the
// installation's key by the tunnel itself.
type RelayQuestion struct {
	Process string `json:"process"`
	Server  string `json:"server"` // whose agent
}

// RelayAnswer is what it gets. Error is for a person; when it is empty, gRPC to the
// agent follows.
type RelayAnswer struct {
	Error string `json:"error,omitempty"`
}
