// Package schedule knows when things run.
//
// A Spec is what a person writes: a cron expression, an interval or one time,
// with a zone and perhaps a start and an end. Parse checks it and makes a Plan,
// or says in a Problem what is wrong with which field; what can never fire is
// refused. Plan.Next gives the next instant, found by a search over months, days
// and times of day, so one that is years away costs no more than the next
// minute. Plan.Words says it in plain English.
//
// Clocks that change: with a given hour each wall-clock time fires once, the
// first of two in autumn, and at the first instant that exists where spring
// leaves it out. With every hour an expression follows real time, so each real
// minute counts.
//
// Crontab reads the text of a crontab into entries with such expressions.
//
// Nothing here reads a clock, and zones are embedded.
package schedule
