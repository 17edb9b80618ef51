// Package secrets seals what must not be readable in the database: passwords
// and private keys of servers, recordings of terminals.
//
// Each workspace has data keys, with which a Box seals (AES-256-GCM, a new nonce
// each time, bound to the purpose, the workspace and the id of what is sealed).
// The data keys are in the database too, wrapped by the instance's Master key,
// which is not: it comes from a file of the data folder or from the environment.
// What is sealed names its data key and a data key names its master key, so both
// can be replaced while servers run (Rotation), in steps that any later call
// takes up again.
//
// Plain keys and values are held as short as possible and overwritten afterwards
// (Wipe); Go may have copied them, so this lessens the risk and no more.
package secrets
