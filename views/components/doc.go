// Package components holds the parts that pages are put together from: icons,
// state badges, times and durations, form fields with their problems.
//
// A part takes plain values or domain types and knows nothing of requests or
// the store. What a state is called, which sign and colour it has, and how a
// duration or a size is written is decided here alone, so that every page says
// the same. Colour is never the only sign: a badge always has a word.
package components
