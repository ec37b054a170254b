package io.espalier.nn;

import io.espalier.tensor.Needed;
import io.espalier.tensor.QuantizedTensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** {@link Functional}'s arithmetic and comparisons by elements. */
abstract sealed class ElementFunctions extends ShapeFunctions permits ReductionFunctions {
    /** {@code a + b} by elements, with broadcasting. */
    public static Tensor add(Tensor a, Tensor b) {
        return computed(() -> torch.add(a, b), "aten::add.Tensor", a, b);
    }

    /** {@code a + number}, by elements. */
    public static Tensor add(Tensor a, double number) {
        return computed(() -> torch.add(a, new Scalar(number)), "aten::add.Scalar", a, number);
    }

    /** The difference by elements, with broadcasting. */
    public static Tensor sub(Tensor a, Tensor b) {
        return computed(() -> torch.sub(a, b), "aten::sub.Tensor", a, b);
    }

    /** {@code a · b} by elements, with broadcasting. */
    public static Tensor mul(Tensor a, Tensor b) {
        return computed(() -> torch.mul(a, b), "aten::mul.Tensor", a, b);
    }

    /** {@code a · number}, by elements. */
    public static Tensor mul(Tensor a, double number) {
        return computed(() -> torch.mul(a, new Scalar(number)), "aten::mul.Scalar", a, number);
    }

    /** The quotient by elements, with broadcasting. */
    public static Tensor div(Tensor a, Tensor b) {
        return computed(() -> torch.div(a, b), "aten::div.Tensor", a, b);
    }

    /** The values cut off at both ends. */
    public static Tensor clamp(Tensor x, double min, double max) {
        return computed(
                () ->
                        QuantizedTensors.bounded(
                                x,
                                y ->
                                        torch.clamp(
                                                y,
                                                new ScalarOptional(new Scalar(min)),
                                                new ScalarOptional(new Scalar(max)))),
                "aten::clamp",
                x,
                min,
                max);
    }

    /** {@code a − number}, by elements. */
    public static Tensor sub(Tensor a, double number) {
        return computed(() -> torch.sub(a, new Scalar(number)), "aten::sub.Scalar", a, number);
    }

    /** {@code a / number}, by elements. */
    public static Tensor div(Tensor a, double number) {
        return computed(() -> torch.div(a, new Scalar(number)), "aten::div.Scalar", a, number);
    }

    /** The power, by elements. */
    public static Tensor pow(Tensor x, double exponent) {
        return computed(
                () -> torch.pow(x, new Scalar(exponent)), "aten::pow.Tensor_Scalar", x, exponent);
    }

    /** The power by elements, with broadcasting. */
    public static Tensor pow(Tensor x, Tensor exponents) {
        return computed(() -> torch.pow(x, exponents), "aten::pow.Tensor_Tensor", x, exponents);
    }

    /** −x. */
    public static Tensor neg(Tensor x) {
        return computed(() -> torch.neg(x), "aten::neg", x);
    }

    /** |x|. */
    public static Tensor abs(Tensor x) {
        return computed(() -> torch.abs(x), "aten::abs", x);
    }

    /** √x. */
    public static Tensor sqrt(Tensor x) {
        return computed(() -> torch.sqrt(x), "aten::sqrt", x);
    }

    /** 1 / √x. */
    public static Tensor rsqrt(Tensor x) {
        return computed(() -> torch.rsqrt(x), "aten::rsqrt", x);
    }

    /** 1 / x. */
    public static Tensor reciprocal(Tensor x) {
        return computed(() -> torch.reciprocal(x), "aten::reciprocal", x);
    }

    /** The exponential. */
    public static Tensor exp(Tensor x) {
        return computed(() -> torch.exp(x), "aten::exp", x);
    }

    /** The natural logarithm. */
    public static Tensor log(Tensor x) {
        return computed(() -> torch.log(x), "aten::log", x);
    }

    /** The sine of radians. */
    public static Tensor sin(Tensor x) {
        return computed(() -> torch.sin(x), "aten::sin", x);
    }

    /** The cosine of radians. */
    public static Tensor cos(Tensor x) {
        return computed(() -> torch.cos(x), "aten::cos", x);
    }

    /** The error function. */
    public static Tensor erf(Tensor x) {
        return computed(() -> torch.erf(x), "aten::erf", x);
    }

    /** The largest integers not above. */
    public static Tensor floor(Tensor x) {
        return computed(() -> torch.floor(x), "aten::floor", x);
    }

    /** The nearest integers, halves to the even one. */
    public static Tensor round(Tensor x) {
        return computed(() -> torch.round(x), "aten::round", x);
    }

    /** The larger of both by elements, with broadcasting. */
    public static Tensor maximum(Tensor a, Tensor b) {
        return computed(() -> torch.maximum(a, b), "aten::maximum", a, b);
    }

    /** The smaller of both by elements, with broadcasting. */
    public static Tensor minimum(Tensor a, Tensor b) {
        return computed(() -> torch.minimum(a, b), "aten::minimum", a, b);
    }

    /** {@code a} where the condition (booleans) holds, {@code b} elsewhere, with broadcasting. */
    public static Tensor where(Tensor condition, Tensor a, Tensor b) {
        return computed(() -> torch.where(condition, a, b), "aten::where.self", condition, a, b);
    }

    /** {@code number} where the mask (booleans) is true, x elsewhere. */
    public static Tensor maskedFill(Tensor x, Tensor mask, double number) {
        return computed(
                () -> torch.masked_fill(x, mask, new Scalar(number)),
                "aten::masked_fill.Scalar",
                x,
                mask,
                number);
    }

    /** The elements as numbers of another type. */
    public static Tensor cast(Tensor x, ScalarType type) {
        long number = Needed.of(type, "the type").intern().value;
        return computed(() -> x.to(type), "aten::to.dtype", x, number);
    }

    /** Whether a is b, by elements with broadcasting. */
    public static Tensor eq(Tensor a, Tensor b) {
        return computed(() -> torch.eq(a, b), "aten::eq.Tensor", a, b);
    }

    /** Whether a is the number, by elements. */
    public static Tensor eq(Tensor a, double number) {
        return computed(() -> torch.eq(a, new Scalar(number)), "aten::eq.Scalar", a, number);
    }

    /** Whether a is not b, by elements with broadcasting. */
    public static Tensor ne(Tensor a, Tensor b) {
        return computed(() -> torch.ne(a, b), "aten::ne.Tensor", a, b);
    }

    /** Whether a is not the number, by elements. */
    public static Tensor ne(Tensor a, double number) {
        return computed(() -> torch.ne(a, new Scalar(number)), "aten::ne.Scalar", a, number);
    }

    /** Whether a is less than b, by elements with broadcasting. */
    public static Tensor lt(Tensor a, Tensor b) {
        return computed(() -> torch.lt(a, b), "aten::lt.Tensor", a, b);
    }

    /** Whether a is less than the number, by elements. */
    public static Tensor lt(Tensor a, double number) {
        return computed(() -> torch.lt(a, new Scalar(number)), "aten::lt.Scalar", a, number);
    }

    /** Whether a is at most b, by elements with broadcasting. */
    public static Tensor le(Tensor a, Tensor b) {
        return computed(() -> torch.le(a, b), "aten::le.Tensor", a, b);
    }

    /** Whether a is at most the number, by elements. */
    public static Tensor le(Tensor a, double number) {
        return computed(() -> torch.le(a, new Scalar(number)), "aten::le.Scalar", a, number);
    }

    /** Whether a is greater than b, by elements with broadcasting. */
    public static Tensor gt(Tensor a, Tensor b) {
        return computed(() -> torch.gt(a, b), "aten::gt.Tensor", a, b);
    }

    /** Whether a is greater than the number, by elements. */
    public static Tensor gt(Tensor a, double number) {
        return computed(() -> torch.gt(a, new Scalar(number)), "aten::gt.Scalar", a, number);
    }

    /** Whether a is at least b, by elements with broadcasting. */
    public static Tensor ge(Tensor a, Tensor b) {
        return computed(() -> torch.ge(a, b), "aten::ge.Tensor", a, b);
    }

    /** Whether a is at least the number, by elements. */
    public static Tensor ge(Tensor a, double number) {
        return computed(() -> torch.ge(a, new Scalar(number)), "aten::ge.Scalar", a, number);
    }
}
