// Package auth finds out who asks: passwords, sessions, API tokens, the limits
// on trying them, and the code that lets the first administrator in.
//
// A Service answers three questions. Authenticate: who sent this request, by
// its session cookie or its Bearer token? SignIn: does this password belong to
// this e-mail address? MakeFirstAdmin: may this person set the instance up?
// What somebody may do is not decided here but by cronium.Principal.Can.
//
// Nothing usable rests in the database: passwords as Argon2id, session and API
// tokens and the first-run code as SHA-256. Several server processes share one
// database and so one count of failed tries.
package auth
