package executor

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	protobuf "google.golang.org/protobuf/proto"

	"cronium.dev/agent/manifest"
	"cronium.dev/agent/proto"
)

// manifestLife is how long a signed manifest is good for: longer than a clock is
// usually wrong, by an hour for a machine that has missed the change of the time.
// Within it an id that was used is refused by the agent's spool.
const manifestLife = 2 * time.Hour

// partBytes is the size of one blob part on the stream.
const partBytes = 256 << 10

// pushBytes is how many bytes of blobs are sent without waiting to be asked.
const pushBytes = 32 << 10

// fresh is a Place whose agent has no blob yet.
type fresh interface{ Fresh() bool }

// start delivers the manifest and the blobs that the agent asks for. When it
// returns nil the agent has the execution in its spool.
func (d *drive) start(ctx context.Context, l *Link) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signed, err := d.sign()
	if err != nil {
		return &endError{err}
	}
	stream, err := l.agent.Start(ctx)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	d.asked = true
	// A Send fails with io.EOF alone; Recv tells why.
	_ = stream.Send(&proto.StartRequest{Part: &proto.StartRequest_Manifest{Manifest: signed}})
	pushed := d.push(stream)
	for {
		answer, err := stream.Recv()
		if err != nil {
			if refused := refusal(err); refused != nil {
				return refused
			}
			return fmt.Errorf("start: %w", err)
		}
		d.progress = true
		if answer.GetAccepted() != nil {
			return nil
		}
		for _, digest := range answer.GetNeed().GetSha256() {
			if pushed {
				continue // it is on its way
			}
			blob, ok := d.run.Blobs[digest]
			if !ok {
				return &endError{fmt.Errorf("start: the agent asked for a blob %s that the manifest does not have", digest)}
			}
			sendBlob(stream, digest, blob)
		}
	}
}

// push sends the blobs at once, which saves a round trip, where the agent is
// known to need all of them and they are small.
func (d *drive) push(stream grpc.BidiStreamingClient[proto.StartRequest, proto.StartResponse]) bool {
	size := 0
	for _, blob := range d.run.Blobs {
		size += len(blob)
	}
	if place, ok := d.place.(fresh); !ok || !place.Fresh() || size > pushBytes {
		return false
	}
	for digest, blob := range d.run.Blobs {
		sendBlob(stream, digest, blob)
	}
	return true
}

// sign fills in what depends on the place and signs the manifest.
func (d *drive) sign() (*proto.SignedManifest, error) {
	m := protobuf.Clone(d.run.Manifest).(*proto.Manifest)
	now := time.Now()
	m.ExecutionId = d.run.ExecutionID.String()
	m.Target = d.place.TargetID()
	m.IssuedUnixMs = now.UnixMilli()
	m.ExpiresUnixMs = now.Add(manifestLife).UnixMilli()
	signed, err := manifest.Sign(d.run.Key, m)
	if err != nil {
		return nil, fmt.Errorf("sign the manifest: %w", err)
	}
	return signed, nil
}

func sendBlob(stream grpc.BidiStreamingClient[proto.StartRequest, proto.StartResponse], digest string, blob []byte) {
	for {
		n := min(len(blob), partBytes)
		part := &proto.BlobPart{Sha256: digest, Data: blob[:n], Last: n == len(blob)}
		if stream.Send(&proto.StartRequest{Part: &proto.StartRequest_Blob{Blob: part}}) != nil || part.Last {
			return // Recv tells why a Send failed
		}
		blob = blob[n:]
	}
}
