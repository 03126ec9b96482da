"""Numbers side by side in one value: what a compiler's own vectorising does not find.

In kernels, :func:`load` reads neighbours of an array, :func:`fused`, ``+``, ``-``, ``*`` and the
comparisons reckon with them, :func:`store` writes them back. LLVM cuts values that are wider than
the processor's registers. Arrays are contiguous with one axis, and nothing is checked: places lie
in the array.
"""

import operator
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.datamodel import models, register_default
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic


class Lanes(types.Type):
    """The type of ``count`` numbers of a type side by side."""

    def __init__(self, dtype: Any, count: int) -> None:
        super().__init__(name=f"Lanes({dtype}, {count})")
        self.dtype, self.count = dtype, count


@register_default(Lanes)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Lanes) -> None:
        element = dmm.lookup(fe_type.dtype).get_value_type()
        super().__init__(dmm, fe_type, ir.VectorType(element, fe_type.count))


@intrinsic(prefer_literal=True)
def load(typing, array, index, count):
    """Return ``count`` (a constant) values of an array, from a place."""
    lanes = Lanes(array.dtype, count.literal_value)

    def generate(context, builder, signature, arguments):
        return _read(context, builder, signature.args, arguments, lanes)

    return lanes(array, index, count), generate


@intrinsic(prefer_literal=True)
def strided(typing, array, index, first, step, count):
    """Return of ``step * count`` values, from a place, every ``step``-th from the ``first``.

    All three are constants.
    """
    lanes = Lanes(array.dtype, count.literal_value)
    start, stride = first.literal_value, step.literal_value

    def generate(context, builder, signature, arguments):
        every = Lanes(lanes.dtype, stride * lanes.count)
        values = _read(context, builder, signature.args, arguments, every)
        chosen = _numbers(range(start, every.count, stride))
        return builder.shuffle_vector(values, values, chosen)

    return lanes(array, index, first, step, count), generate


@intrinsic
def store(typing, array, index, value):
    """Write lanes to an array, from a place."""

    def generate(context, builder, signature, arguments):
        place = _place(context, builder, signature.args, arguments, value)
        builder.store(arguments[2], place, align=_size(context, value))
        return context.get_dummy_value()

    return types.none(array, index, value), generate


@intrinsic
def prefetch(typing, array, index):
    """Ask for a place of an array to be in cache soon. It may lie anywhere: nothing is read."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0]).data
        first = builder.gep(data, [context.cast(builder, arguments[1], index, types.intp)])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        module, name = builder.module, "llvm.prefetch.p0"
        function = module.globals.get(name) or ir.Function(module, kind, name)
        # For reading, into every level of cache, of data.
        flags = [ir.Constant(number, flag) for flag in (0, 3, 1)]
        builder.call(function, [builder.bitcast(first, byte), *flags])
        return context.get_dummy_value()

    return types.none(array, index), generate


@intrinsic(prefer_literal=True)
def spread(typing, number, count):
    """Return a number in ``count`` (a constant) lanes."""
    lanes = Lanes(number, count.literal_value)

    def generate(context, builder, signature, arguments):
        return _spread(context, builder, arguments[0], signature.args[0], lanes)

    return lanes(number, count), generate


@intrinsic
def fused(typing, one, other, added):
    """Return ``one * other + added``, rounded once where the processor can.

    ``one`` may be a number; the others are lanes.
    """

    def generate(context, builder, signature, arguments):
        first, second, third = arguments
        if not isinstance(one, Lanes):
            first = _spread(context, builder, first, one, other)
        return _call(builder, "fmuladd", first, second, third)

    return other(one, other, added), generate


@intrinsic
def floor(typing, value):
    """Return the largest whole numbers that are not above lanes."""

    def generate(context, builder, signature, arguments):
        return _call(builder, "floor", *arguments)

    return value(value), generate


@intrinsic
def whole(typing, value):
    """Return lanes of whole numbers as int32."""
    lanes = Lanes(types.int32, value.count)

    def generate(context, builder, signature, arguments):
        return builder.fptosi(arguments[0], context.get_value_type(lanes))

    return lanes(value), generate


@intrinsic
def chosen(typing, condition, one, other):
    """Return ``one`` where lanes of a condition hold, ``other`` elsewhere; one may be a number."""
    lanes = one if isinstance(one, Lanes) else other

    def generate(context, builder, signature, arguments):
        pair = [
            value if isinstance(kind, Lanes) else _spread(context, builder, value, kind, lanes)
            for value, kind in zip(arguments[1:], signature.args[1:], strict=True)
        ]
        return builder.select(arguments[0], *pair)

    return lanes(condition, one, other), generate


@intrinsic
def signs(typing, value):
    """Return the signs of lanes of whole numbers as the bits of one, the first lane's the lowest.

    A bit is set where the uppermost bit of its lane is.
    """
    word = _word(value.count)

    def generate(context, builder, signature, arguments):
        (vector,) = arguments
        negative = builder.icmp_signed("<", vector, ir.Constant(vector.type, None))
        return builder.bitcast(negative, ir.IntType(value.count))

    return word(value), generate


@intrinsic
def flags(typing, word):
    """Return the bits of a whole number as lanes of a condition: :func:`signs` turned back."""
    lanes = Lanes(types.boolean, word.bitwidth)

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(lanes))

    return lanes(word), generate


@intrinsic
def interleaved(typing, one, other):
    """Return the lanes of two values in turns, twice as many."""
    lanes = Lanes(one.dtype, 2 * one.count)

    def generate(context, builder, signature, arguments):
        turns = [lane for i in range(one.count) for lane in (i, one.count + i)]
        return builder.shuffle_vector(*arguments, _numbers(turns))

    return lanes(one, other), generate


@intrinsic
def total(typing, value):
    """Return the sum of lanes whose number is a power of two."""

    def generate(context, builder, signature, arguments):
        (vector,) = arguments
        half = value.count // 2
        while half:
            low, high = _numbers(range(half)), _numbers(range(half, 2 * half))
            vector = builder.fadd(
                builder.shuffle_vector(vector, vector, low),
                builder.shuffle_vector(vector, vector, high),
            )
            half //= 2
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return value.dtype(value), generate


@intrinsic
def sums(typing, first, second, third, fourth):
    """Return the sums of four values of four lanes each, side by side."""

    def generate(context, builder, signature, arguments):
        one, two, three, four = arguments
        upper = _folded(builder, one, two, (0, 4, 1, 5))
        return _folded(builder, upper, _folded(builder, three, four, (0, 4, 1, 5)), (0, 1, 4, 5))

    return first(first, second, third, fourth), generate


def _arithmetic(symbol, on_floats, on_integers):
    """Let an operator work on lanes, or on a number and lanes."""

    @infer_global(symbol)
    class _Typing(AbstractTemplate):  # type: ignore[misc]
        def generic(self, arguments, keywords):
            lanes = [a for a in arguments if isinstance(a, Lanes)]
            return signature(lanes[0], *arguments) if lanes else None

    def generate(context, builder, signature, arguments):
        pair = _alike(context, builder, signature, arguments)
        real = isinstance(signature.return_type.dtype, types.Float)
        return getattr(builder, on_floats if real else on_integers)(*pair)

    _lower(symbol, generate)


def _comparison(symbol, sign):
    @infer_global(symbol)
    class _Typing(AbstractTemplate):  # type: ignore[misc]
        def generic(self, arguments, keywords):
            lanes = [a for a in arguments if isinstance(a, Lanes)]
            return signature(Lanes(types.boolean, lanes[0].count), *arguments) if lanes else None

    def generate(context, builder, signature, arguments):
        pair = _alike(context, builder, signature, arguments)
        lanes = next(a for a in signature.args if isinstance(a, Lanes))
        if isinstance(lanes.dtype, types.Float):
            return builder.fcmp_ordered(sign, *pair)
        return builder.icmp_signed(sign, *pair)

    _lower(symbol, generate)


def _lower(symbol, generate):
    for kinds in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(symbol, *kinds)(generate)


def _alike(context, builder, signature, arguments):
    lanes = next(a for a in signature.args if isinstance(a, Lanes))
    return [
        value if isinstance(kind, Lanes) else _spread(context, builder, value, kind, lanes)
        for value, kind in zip(arguments, signature.args, strict=True)
    ]


_arithmetic(operator.add, "fadd", "add")
_arithmetic(operator.sub, "fsub", "sub")
_arithmetic(operator.mul, "fmul", "mul")
_arithmetic(operator.and_, "and_", "and_")
_comparison(operator.lt, "<")
_comparison(operator.gt, ">")
_comparison(operator.ge, ">=")


def _read(context, builder, kinds, arguments, lanes):
    place = _place(context, builder, kinds, arguments, lanes)
    return builder.load(place, align=_size(context, lanes))


def _place(context, builder, kinds, arguments, lanes):
    array, index, *_ = arguments
    data = context.make_array(kinds[0])(context, builder, array).data
    first = builder.gep(data, [context.cast(builder, index, kinds[1], types.intp)])
    return builder.bitcast(first, context.get_value_type(lanes).as_pointer())


def _size(context, lanes):
    return context.get_abi_sizeof(context.get_value_type(lanes.dtype))


def _spread(context, builder, number, kind, lanes):
    vector = context.get_value_type(lanes)
    number = context.cast(builder, number, kind, lanes.dtype)
    first = builder.insert_element(
        ir.Constant(vector, ir.Undefined), number, ir.Constant(ir.IntType(32), 0)
    )
    return builder.shuffle_vector(first, first, _numbers([0] * lanes.count))


def _folded(builder, one, other, low):
    """Return chosen lanes of two values plus those two places higher."""
    return builder.fadd(
        builder.shuffle_vector(one, other, _numbers(low)),
        builder.shuffle_vector(one, other, _numbers(lane + 2 for lane in low)),
    )


def _word(bits):
    return types.Integer.from_bitwidth(bits, signed=False)


def _numbers(values):
    numbers = list(values)
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), numbers)


def _call(builder, name, *arguments):
    vector = arguments[0].type
    full = f"llvm.{name}.v{vector.count}f{64 if vector.element == ir.DoubleType() else 32}"
    function = builder.module.globals.get(full) or ir.Function(
        builder.module, ir.FunctionType(vector, [vector] * len(arguments)), full
    )
    return builder.call(function, arguments)
