package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/starling-lb/starling/speaker"
)

const maxAnswer = 256 << 20 // bytes; a million addresses are less

// Fetch asks the speaker at base, such as "http://localhost:7928", for its snapshot. The error says
// whom it asked and what came instead.
func Fetch(ctx context.Context, base string) (speaker.Snapshot, error) {
	var s speaker.Snapshot
	u, err := endpoint(base)
	if err != nil {
		return s, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, http.NoBody)
	if err != nil {
		return s, fmt.Errorf("ask %s: %w", u, err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, fmt.Errorf("ask %s: %w", u, cause(ctx, err))
	}
	defer resp.Body.Close()
	if err := decode(resp, &s); err != nil {
		return speaker.Snapshot{}, fmt.Errorf("ask %s: %w", u, err)
	}
	return s, nil
}

// endpoint is the URL of the snapshot under base.
func endpoint(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("server %q is not a URL like http://localhost:7928", base)
	}
	return u.JoinPath("api/v1/status").String(), nil
}

// decode reads a snapshot, or says what the answer is instead.
func decode(resp *http.Response, s *speaker.Snapshot) error {
	if resp.StatusCode != http.StatusOK {
		first, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // as far as it came
		line, _, _ := strings.Cut(string(first), "\n")
		return fmt.Errorf("it answers %s: %q", resp.Status, line)
	}
	if t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); t != "application/json" {
		return fmt.Errorf("it answers with %q, so this is no speaker", t)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(s); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// cause leaves out of a client's error what Fetch has said already.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("no answer: %w", context.Cause(ctx))
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}
