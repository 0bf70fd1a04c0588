// Package families lists the families of models, and finds the one of a
// checkpoint. A new family is a folder beside this one, which exports a
// workloads.Family, and its line in [All].
package families
