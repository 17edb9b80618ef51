package cronium

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// ID identifies anything that Cronium stores: a UUID of version 7 (RFC 9562),
// whose first 48 bits are the milliseconds since 1970, so that ids sort by time.
type ID = uuid.UUID

// NewID makes an id for the present moment. Ids made by one process increase.
func NewID() ID {
	return uuid.Must(uuid.NewV7())
}

// ParseID reads the 36-character form. Any other spelling is refused, so that
// one thing has one address.
func ParseID(s string) (ID, bool) {
	if len(s) != 36 {
		return ID{}, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil
}

// IDTime is the moment at which id was made, to the millisecond, in UTC.
func IDTime(id ID) time.Time {
	ms := int64(id[0])<<40 | int64(id[1])<<32 | int64(id[2])<<24 | int64(id[3])<<16 | int64(id[4])<<8 | int64(id[5])
	return time.UnixMilli(ms).UTC()
}

// IDFloor is the smallest version 7 id of the moment t: a bound for ranges.
func IDFloor(t time.Time) ID {
	ms := t.UnixMilli()
	var id ID
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

// ShortestPrefix is how many characters of an id a person has to give at least,
// where a beginning names one.
const ShortestPrefix = 6

// IDsBeginning gives the first and the last id of those that begin so: a bound for
// ranges. It refuses what is too short or begins no id.
func IDsBeginning(text string) (first, last ID, ok bool) {
	if len(text) < ShortestPrefix || len(text) > 36 {
		return first, last, false
	}
	const pattern = "00000000-0000-0000-0000-000000000000"
	low, lowErr := uuid.Parse(text + pattern[len(text):])
	high, highErr := uuid.Parse(text + strings.ReplaceAll(pattern, "0", "f")[len(text):])
	return low, high, lowErr == nil && highErr == nil
}

// ShortID is the form for people: the first four and the last three digits.
func ShortID(id ID) string {
	s := id.String()
	return s[9:13] + "…" + s[33:]
}
