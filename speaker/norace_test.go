//go:build !race

package speaker

const raceDetector = false
