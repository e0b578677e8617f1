package status

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

const maxAnswer = 256 << 20 // bytes; a million addresses are less

// Get asks the speaker at base, such as "http://localhost:7928", for what is at a path, which may
// have a query, and returns its JSON. The error says whom it asked and what came instead.
func Get(ctx context.Context, base, path string) ([]byte, error) {
	u, err := endpoint(base, path)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", u, err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", u, cause(ctx, err))
	}
	defer resp.Body.Close()
	body, err := read(resp)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", u, err)
	}
	return body, nil
}

// endpoint is the URL of a path under base.
func endpoint(base, path string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("server %q is not a URL like http://localhost:7928", base)
	}
	path, query, _ := strings.Cut(path, "?")
	u = u.JoinPath(path)
	u.RawQuery = query
	return u.String(), nil
}

// read takes an answer in JSON, or says what it is instead.
func read(resp *http.Response) ([]byte, error) {
	if resp.StatusCode != http.StatusOK {
		first, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // as far as it came
		line, _, _ := strings.Cut(string(first), "\n")
		return nil, fmt.Errorf("it answers %s: %q", resp.Status, line)
	}
	if t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); t != "application/json" {
		return nil, fmt.Errorf("it answers with %q, so this is no speaker", t)
	}
	body, err := readAtMost(resp.Body, maxAnswer)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return body, nil
}

// readAtMost reads all, and fails if that is more than so many bytes.
func readAtMost(r io.Reader, most int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(body)) > most {
		err = fmt.Errorf("it is longer than %d bytes, which is the most that is read", most)
	}
	return body, err
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
