package cronium

import (
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

// ShortID is the form for people: the first four and the last three digits.
func ShortID(id ID) string {
	s := id.String()
	return s[9:13] + "…" + s[33:]
}
