// Package chart renders a Helm chart as Helm does, without a cluster.
package chart

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
)

// Cluster is what a chart may know of the cluster that it is for: a version, and kinds such as
// "v1/Service" if it is a real one.
type Cluster struct {
	Version string
	Kinds   []string
}

// Render returns the objects that the chart in the folder installs, in Helm's order of
// installation, and its notes, as "helm template" does. The values are checked by the chart's
// schema.
func Render(folder, namespace string, values map[string]any) (objects, notes string, err error) {
	return RenderFor(Cluster{Version: "v1.30.0"}, folder, namespace, values)
}

// RenderFor is Render for a certain cluster.
func RenderFor(k Cluster, folder, namespace string, values map[string]any) (objects, notes string, err error) {
	c, err := loader.Load(folder)
	if err != nil {
		return "", "", fmt.Errorf("load chart %q: %w", folder, err)
	}
	release := chartutil.ReleaseOptions{Name: c.Name(), Namespace: namespace, Revision: 1, IsInstall: true}
	can := chartutil.DefaultCapabilities.Copy()
	can.KubeVersion.Version = k.Version
	can.APIVersions = append(can.APIVersions, k.Kinds...)
	all, err := chartutil.ToRenderValues(c, values, release, can)
	if err != nil {
		return "", "", fmt.Errorf("values for chart %q: %w", folder, err)
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return "", "", fmt.Errorf("render chart %q: %w", folder, err)
	}
	for name, text := range files {
		if path.Base(name) == "NOTES.txt" {
			notes = text
			delete(files, name)
		}
	}
	_, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return "", "", fmt.Errorf("sort objects of chart %q: %w", folder, err)
	}
	var texts []string
	for _, m := range manifests {
		texts = append(texts, strings.TrimSpace(m.Content)+"\n")
	}
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "\n" }), "---\n"), notes, nil
}
