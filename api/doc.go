// Package api holds the types of what a speaker answers over HTTP: status serves them as JSON, and
// the page and the commands read them. Their JSON is a contract: fields are only ever added, and a
// list without entries is [] and never null. The package also holds what follows from an answer
// alone, for those who have nothing else.
package api
