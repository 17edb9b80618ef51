// Package conformance states what every target must do, and is run from each
// target's own tests against the real agent. A target that passes may be used
// by the engine of jobs without knowing which one it is.
//
//	conformance.Run(t, conformance.Target{Backend: b, Key: key, Spec: spec, Kill: kill})
//
// Script and Execute run one script and give what came of it; tests of what
// one target alone promises use them too. Agent builds the agent's binary.
package conformance
