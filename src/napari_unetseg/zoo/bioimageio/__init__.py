"""Model packages of the BioImage Model Zoo: read as models of ours, and written from them.

* In: `package` opens a zip, a folder or a description, and trusts none of it; `description` is what a description of
  either version says (`spec_0_4`, `spec_0_5`, and `common` to both). `processing` and `outputs` put into words of a
  card what is done to images and what answers mean, `weights` chooses among the forms of a network, and `importing`
  puts all together. `package_conversion` makes a package of ours of it, which `checking` compares with what the
  package itself says should come out; `package_cache` keeps those that are used by their path.
* Out: `export` writes the description and the zip, with `operations` what a card says in the zoo's words, and
  `documentation`, `cover` and `example_tensors` beside it.
"""
