// Package auth finds out who asks: passwords, sessions, API tokens, the limits
// on trying them, the code that lets the first administrator in, and the links
// with which others set their passwords.
//
// A Service answers four questions. Authenticate: who sent this request, by
// its session cookie or its Bearer token? SignIn: does this password belong to
// this e-mail address? MakeFirstAdmin: may this person set the instance up?
// UsePasswordLink: may this person set a password without the old one?
// What somebody may do is not decided here but by cronium.Principal.Can.
//
// Nothing usable rests in the database: passwords as Argon2id, session and API
// tokens and the codes as SHA-256. Several server processes share one
// database and so one count of failed tries.
package auth
