// Package trust keeps and checks the signatures over a fleet's documents: a
// repository of The Update Framework (TUF, https://theupdateframework.github.io/specification/)
// whose targets are small documents. It knows files by their names and bytes, and
// nothing of where they come from.
package trust
