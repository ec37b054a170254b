package io.espalier.tensor;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Argument;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.FunctionSchema;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * One operator of libtorch, called through the dispatcher.
 *
 * <p>The dispatcher itself checks neither the number nor the types of what it is handed, and a
 * wrong stack can end the process. So every call is checked against the operator's schema first.
 *
 * <p>The Java types of arguments: {@code Tensor}; {@code long} or {@code int} for {@code int}, also
 * a {@code ScalarType}; {@code double} or {@code float} for {@code float}; {@code boolean}; {@code
 * String}; any number or {@code Scalar} for {@code Scalar}; {@link PackedObject}; {@code long[]},
 * {@code double[]} and {@code List} for lists; {@code null} where the schema says optional.
 * Trailing arguments that have a default may be left out.
 */
@Internal
public final class Operator {
    /** Stands for a tensor that each call of a {@link BoundOperator} hands in. */
    public static final Object TENSOR = new Object();

    /** What needs its tensor in a layout of its own: {@link QuantizedTensors#bounded}. */
    private static final Set<String> CUTTING_OFF =
            Set.of("aten::clamp", "aten::hardtanh", "aten::relu6");

    private final String name;
    private final OperatorHandle handle;
    private final String schema;
    private final List<OperatorParameter> parameters;
    private final int required;
    private final int results;
    private final boolean cutsOff;
    private final boolean looksAtEngine;

    private Operator(String name, OperatorHandle handle) {
        this.name = name;
        this.handle = handle;
        FunctionSchema full = handle.schema();
        this.schema = torch.toString(full).getString();
        List<OperatorParameter> all = new ArrayList<>();
        Argument arguments = full.arguments();
        int needed = 0;
        for (int i = 0; i < arguments.limit(); i++) {
            var parameter = OperatorParameter.of(arguments.getPointer(i));
            all.add(parameter);
            needed = parameter.hasDefault() ? needed : i + 1;
        }
        this.parameters = List.copyOf(all);
        this.required = needed;
        this.results = Math.toIntExact(full.returns().limit());
        this.cutsOff = CUTTING_OFF.contains(name);
        this.looksAtEngine = cutsOff || name.startsWith("quantized::");
    }

    static Operator lookUp(String full, String name, String overload) {
        try (var scope = new PointerScope()) {
            OperatorHandle handle = Dispatcher.singleton().findSchemaOrThrow(name, overload);
            handle.retainReference();
            return new Operator(full, handle);
        } catch (RuntimeException e) {
            throw TensorException.in("No operator " + full + " in this build of libtorch", e);
        }
    }

    /** The operator's signature as libtorch writes it. */
    public String schema() {
        return schema;
    }

    /**
     * Refuses null as an argument that is not optional.
     *
     * @param place the argument's place in the schema
     * @throws EspalierException if null can't stand there
     */
    public void requireOptional(int place) {
        parameters.get(place).requireOptional(this);
    }

    /**
     * Calls the operator and returns its one result, a tensor.
     *
     * @throws EspalierException as {@link #call}, or if the operator returns something else
     */
    public Tensor tensor(@Nullable Object... arguments) {
        return one(Tensor.class, arguments);
    }

    /**
     * Calls the operator and returns its one result, an object of libtorch's such as packed
     * weights.
     *
     * @throws EspalierException as {@link #call}, or if the operator returns something else
     */
    public PackedObject packed(@Nullable Object... arguments) {
        return one(PackedObject.class, arguments);
    }

    private <T> T one(Class<T> type, @Nullable Object... arguments) {
        List<Object> all = call(arguments);
        if (all.size() != 1 || !type.isInstance(all.getFirst())) {
            throw new EspalierException(
                    name
                            + " does not return one "
                            + type.getSimpleName()
                            + "; its signature is "
                            + schema
                            + ".");
        }
        return type.cast(all.getFirst());
    }

    /**
     * The operator with its constant arguments made ready once: a call then boxes its tensors only.
     *
     * @param arguments as {@link #call} takes them, with {@link #TENSOR} where each call hands in a
     *     tensor
     * @throws EspalierException if the number or a type of the arguments is not what the schema
     *     asks for
     */
    public BoundOperator bind(@Nullable Object... arguments) {
        requireCount(arguments);
        try (var scope = new PointerScope()) {
            IValue[] boxed = new IValue[parameters.size()];
            List<Integer> open = new ArrayList<>();
            for (int i = 0; i < boxed.length; i++) {
                OperatorParameter parameter = parameters.get(i);
                if (i < arguments.length && arguments[i] == TENSOR) {
                    parameter.requireTensor(this);
                    open.add(i);
                    boxed[i] = new IValue(new Tensor());
                } else {
                    boxed[i] =
                            i < arguments.length
                                    ? parameter.box(this, arguments[i])
                                    : parameter.defaultValue();
                }
            }
            return new BoundOperator(this, new IValueVector(boxed), open);
        }
    }

    private void requireCount(@Nullable Object... arguments) {
        if (arguments.length < required || arguments.length > parameters.size()) {
            throw new EspalierException(
                    name
                            + " takes "
                            + (required == parameters.size()
                                    ? required
                                    : required + " to " + parameters.size())
                            + " arguments; it was given "
                            + arguments.length
                            + ". Its signature is "
                            + schema
                            + ".");
        }
    }

    /**
     * Calls the operator and returns all its results: tensors, packed objects, {@code Long}, {@code
     * Double}, {@code Boolean}; an empty {@code Optional} for None.
     *
     * @throws EspalierException if the number or a type of the arguments is not what the schema
     *     asks for (the operator is then not called), or the operator fails
     */
    public List<Object> call(@Nullable Object... arguments) {
        requireCount(arguments);
        return looksAtEngine()
                ? EngineLock.PROCESS.whileSettled(() -> callNow(arguments))
                : callNow(arguments);
    }

    private List<Object> callNow(@Nullable Object... arguments) {
        PointerScope outer = PointerScope.getInnerScope();
        try (var inner = new PointerScope()) {
            IValue[] boxed = new IValue[parameters.size()];
            for (int i = 0; i < boxed.length; i++) {
                OperatorParameter parameter = parameters.get(i);
                boxed[i] =
                        i < arguments.length
                                ? parameter.box(this, arguments[i])
                                : parameter.defaultValue();
            }
            var stack = new IValueVector(boxed);
            run(stack);
            return results(stack, outer);
        }
    }

    /** Calls the operator on a stack that fits its schema, which then holds the results. */
    void run(IValueVector stack) {
        try {
            if (cutsOff) {
                Tensor x = stack.get(0).toTensor();
                x.put(QuantizedTensors.forBounds(x));
            }
            handle.callBoxed(stack);
        } catch (RuntimeException e) {
            throw TensorException.of(name, e);
        }
    }

    private List<Object> results(IValueVector stack, @Nullable PointerScope outer) {
        List<Object> out = new ArrayList<>(results);
        for (int i = 0; i < results; i++) {
            out.add(unbox(stack.get(i), outer));
        }
        return out;
    }

    private Object unbox(IValue value, @Nullable PointerScope outer) {
        if (value.isTensor()) {
            return Tensors.handOver(new Tensor(value.toTensor()), outer);
        }
        if (value.isCustomClass()) {
            return new PackedObject(value);
        }
        if (value.isInt()) {
            return value.toInt();
        }
        if (value.isDouble()) {
            return value.toDouble();
        }
        if (value.isBool()) {
            return value.toBool();
        }
        if (value.isNone()) {
            return java.util.Optional.empty();
        }
        if (value.isTensorList()) {
            var tensors = value.toTensorVector();
            List<Tensor> list = new ArrayList<>();
            for (long i = 0; i < tensors.size(); i++) {
                list.add(Tensors.handOver(new Tensor(tensors.get(i)), outer));
            }
            return list;
        }
        throw new EspalierException(
                name
                        + " returned a "
                        + value.tagKind().getString()
                        + ", which has no Java type; its signature is "
                        + schema
                        + ".");
    }

    @Override
    public String toString() {
        return schema;
    }

    String name() {
        return name;
    }

    /** Whether the kernel may depend on libtorch's current engine: {@code quantized::add} does. */
    boolean looksAtEngine() {
        return looksAtEngine;
    }
}
