// Package output turns the stored output of an execution, chunks of bytes of
// two streams, into what people and programs read: text, lines, a raw copy,
// places where something is found.
//
// A line is what lies between line feeds in the order in which both streams'
// bytes were stored; lines are numbered from 0, and a line belongs to the stream
// of its first byte. Text is UTF-8: a byte that is not is shown as U+FFFD and a
// NUL as ␀, never a character of one stream joined with bytes of the other.
//
// Nothing here holds more than a part of an output in memory, however long the
// output or one of its lines is. What is read ends where the output ended when
// the execution was looked up, so that an answer is of one moment.
package output
