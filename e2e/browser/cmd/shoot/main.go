// Command shoot leaves a picture of a status page as a browser shows it on a screen of 1280 points,
// as soon as the page is live:
//
//	shoot http://198.18.0.11:7928/ page.png
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/chromedp/chromedp"
)

// live becomes true when the page listens to its speaker.
const live = `new Promise((done) => {
	const ask = () => document.getElementById("live").dataset.state === "live" ? done(true) : setTimeout(ask, 10);
	ask();
})`

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "shoot: needs the address of a page and a file to write")
		os.Exit(2)
	}
	if err := shoot(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "shoot:", err)
		os.Exit(1)
	}
}

func shoot(ctx context.Context, url, file string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium-headless-shell"), chromedp.NoSandbox)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	defer stop()
	ctx, end := chromedp.NewContext(ctx)
	defer end()
	if err := chromedp.Do(ctx, chromedp.Steps(chromedp.EmulateViewport(1280, 1120, chromedp.EmulateScale(1.5)), chromedp.Navigate(url))); err != nil {
		return fmt.Errorf("open %q: %w", url, err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](live, chromedp.EvalAwaitPromise)); err != nil {
		return fmt.Errorf("wait until %q is live: %w", url, err)
	}
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return fmt.Errorf("picture of %q: %w", url, err)
	}
	return os.WriteFile(file, picture, 0o644)
}
