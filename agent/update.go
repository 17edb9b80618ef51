package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cronium.dev/agent/manifest"
	agentproto "cronium.dev/agent/proto"
)

const (
	maxProgram    = 64 << 20        // bytes of a new agent
	defaultReport = 2 * time.Minute // unless the server says
	longestReport = time.Hour
)

// Update implements the service. Nothing of what comes is run before all of it
// is there and has the digest that the server has signed.
func (a *Agent) Update(stream agentproto.Agent_UpdateServer) error {
	if a.config.Installed == nil {
		return status.Error(codes.FailedPrecondition, "this agent is not an installed one; whoever brought it replaces it")
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	offer := first.GetOffer()
	if offer == nil || offer.GetSize() <= 0 || offer.GetSize() > maxProgram || offer.GetReportMs() < 0 {
		return status.Error(codes.InvalidArgument, "the offer of a new program is not well formed")
	}
	digest, err := a.signedDigest(offer.GetGrant())
	if err != nil {
		return refusal(err)
	}
	if !a.updating.TryLock() {
		return status.Error(codes.Aborted, "another update is coming already")
	}
	defer a.updating.Unlock()
	path, err := a.receiveProgram(stream, offer.GetSize(), digest)
	if err != nil {
		return refusal(err)
	}
	update := Update{Path: path, Version: offer.GetVersion(), Report: min(limitOr(offer.GetReportMs(), defaultReport), longestReport)}
	if err := a.config.Installed.Updated(update); err != nil {
		os.Remove(path)
		return refusal(err)
	}
	return stream.SendAndClose(&agentproto.UpdateResponse{})
}

// signedDigest is the digest that the server has signed.
func (a *Agent) signedDigest(signed *agentproto.SignedGrant) (string, error) {
	grant := &agentproto.Grant{}
	if err := proto.Unmarshal(signed.GetGrant(), grant); err != nil {
		return "", fmt.Errorf("%w: %v", manifest.ErrForm, err)
	}
	digest := string(grant.GetSubject())
	return digest, manifest.VerifyGrant(a.config.PublicKey, signed, a.config.Target, manifest.ActionUpdate, digest, time.Now())
}

// receiveProgram puts what comes beside the program that it shall take the place
// of, so that one step will do that.
func (a *Agent) receiveProgram(stream agentproto.Agent_UpdateServer, size int64, digest string) (path string, err error) {
	program := a.config.Installed.Program
	file, err := os.CreateTemp(filepath.Dir(program), filepath.Base(program)+".update-*")
	if err != nil {
		return "", status.Errorf(codes.FailedPrecondition, "the agent cannot replace its own program: %v", err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			os.Remove(file.Name())
		}
	}()
	sum := sha256.New()
	if err := receiveParts(stream, io.MultiWriter(file, sum), size); err != nil {
		return "", err
	}
	if err := checkProgram(sum, digest); err != nil {
		return "", err
	}
	if err := errors.Join(file.Chmod(0o755), file.Sync()); err != nil {
		return "", fmt.Errorf("keep the new program: %w", err)
	}
	return file.Name(), nil
}

func receiveParts(stream agentproto.Agent_UpdateServer, to io.Writer, size int64) error {
	for left := size; left > 0; {
		part, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("receive the new program: %w", err)
		}
		if left -= int64(len(part.GetData())); left < 0 || len(part.GetData()) == 0 {
			return status.Error(codes.InvalidArgument, "the new program is not as long as was said")
		}
		if _, err := to.Write(part.GetData()); err != nil {
			return fmt.Errorf("keep the new program: %w", err)
		}
	}
	return nil
}

func checkProgram(sum hash.Hash, digest string) error {
	if got := hex.EncodeToString(sum.Sum(nil)); got != digest {
		return status.Errorf(codes.InvalidArgument, "the new program has the digest %s, not the signed one", got)
	}
	return nil
}
