# Compiles the modules of a layer or a function. SAM's archives date every file 1980, so bytecode that
# is checked by the source's date is never valid in Lambda, and every cold start would compile anew.
# Unchecked hash-based bytecode is read as it is. It must come from the runtime's minor version.
#
# $(call compile,<folder>,<where Lambda unpacks it>)

PYTHON := python3.13

define compile
	@$(PYTHON) -c '' 2>/dev/null || { \
	    echo '$(PYTHON) is not on PATH: the runtime'"'"'s CPython compiles the bytecode that is shipped' >&2; \
	    exit 1; }
	$(PYTHON) -m compileall -q -f --invalidation-mode unchecked-hash -s '$(1)' -p '$(2)' '$(1)'
endef
