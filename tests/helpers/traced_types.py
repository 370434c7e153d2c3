"""Finds values of 64 bits in a traced function."""

import jax
from jax.extend import core

WIDE = ("float64", "int64", "uint64", "complex128")


def wide_values(function, *args) -> set[tuple[str, str]]:
    """Traces a function under JAX_ENABLE_X64.

    Returns:
      (dtype, primitive) of each value of 64 bits in it and in the functions that it calls; the primitive is "input or output"
      for those of the function itself.
    """
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(function)(*args)
    found = set()
    for var in (*closed.jaxpr.invars, *closed.jaxpr.constvars, *closed.jaxpr.outvars):
        found |= _wide(var, "input or output")
    _walk(closed.jaxpr, found)
    return found


def _walk(jaxpr, found):
    for equation in jaxpr.eqns:
        for var in (*equation.invars, *equation.outvars):
            found |= _wide(var, equation.primitive.name)
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(value):
                _walk(getattr(value, "jaxpr", value), found)


def _is_jaxpr(value):
    return isinstance(value, core.Jaxpr | core.ClosedJaxpr)


def _wide(var, where):
    dtype = str(getattr(var.aval, "dtype", ""))
    return {(dtype, where)} if dtype in WIDE else set()
