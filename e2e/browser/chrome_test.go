package browser

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const (
	browser  = "chromium-headless-shell"
	patience = 20 * time.Second // for one step in the browser
)

type step = chromedp.Action[chromedp.Void]

// chrome starts a browser for one test, with all its tabs.
func chrome(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.NoSandbox)
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(func() { end(); stop() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", browser, err)
	}
	return ctx
}

// tab is a page in the browser, with what the browser complains about.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex // guards all following fields
	errors []string
}

// open shows a page in a tab of its own; the test fails if the browser complains of anything until
// its end.
func open(chrome context.Context, t *testing.T, url string, before ...step) *tab {
	t.Helper()
	b := &tab{t: t}
	ctx, end := chromedp.NewContext(chrome, chromedp.WithListener(b.hear))
	b.ctx = ctx
	t.Cleanup(func() {
		for _, c := range b.heard() {
			t.Errorf("the browser complains: %s", c)
		}
		end()
	})
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as the context of its first step
		t.Fatalf("open a tab: %v", err)
	}
	b.do(append(before, chromedp.Navigate(url))...)
	return b
}

// hear gathers what scripts, the content policy and missing files cause.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.errors = append(b.errors, string(e.Type)) // the page writes nothing there
	case *log.EventEntryAdded:
		b.errors = append(b.errors, e.Entry.Text+" "+e.Entry.URL)
	}
}

// heard takes what the browser complained of so far.
func (b *tab) heard() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.errors
	b.errors = nil
	return r
}

// do takes steps in the browser.
func (b *tab) do(steps ...step) {
	b.t.Helper()
	run(b, chromedp.Steps(steps...))
}

// run takes one step that has a result.
func run[T any](b *tab, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	r, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatalf("in the browser: %v", err)
	}
	return r
}

// eval is what an expression is in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// until waits for an expression to become true, asked in the page itself. (chromedp's own way makes
// a function of text, which the page's policy forbids.)
func (b *tab) until(expression string) {
	b.t.Helper()
	eval[bool](b, `new Promise((done) => {
		const ask = () => (`+expression+`) ? done(true) : setTimeout(ask, 10);
		ask();
	})`)
}

// size makes the window so large.
func size(width, height int64) step {
	return chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1.5))
}

// prefer sets what the user prefers, as "prefers-color-scheme", "dark".
func prefer(feature, value string) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: feature, Value: value}},
		})
		return err
	})
}

// withoutScript is a browser without JavaScript.
func withoutScript() step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
}

// shoot leaves a picture of the page, if somebody wants to look at it.
func (b *tab) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("STARLING_SCREENSHOTS")
	if dir == "" {
		return
	}
	file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".png")
	if err := os.WriteFile(file, run(b, chromedp.FullScreenshot(100)), 0o644); err != nil {
		b.t.Fatal(err)
	}
}
