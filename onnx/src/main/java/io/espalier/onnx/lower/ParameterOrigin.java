package io.espalier.onnx.lower;

import io.espalier.nn.Module;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Predicate;

/**
 * A parameter of a lowered model, and the constant whose numbers it has, perhaps in another
 * arrangement and times a factor.
 *
 * @param module whose parameter it is
 * @param parameter its name there
 * @param constant the name of the constant, in the model as it was lowered
 * @param arrangement how its numbers come from the constant's
 */
public record ParameterOrigin(
        Module module, String parameter, String constant, Arrangement arrangement) {
    /** How a parameter's numbers come from a constant's. */
    public sealed interface Arrangement {
        /** The parameter's numbers, of the constant's. */
        Tensor of(Tensor constant);

        /** The constant's numbers, of the parameter's. */
        Tensor back(Tensor parameter);

        /** Where an axis of the constant is in the parameter; −1 if it is in no one place. */
        int axis(int ofConstant);

        /** What a number of the constant is multiplied by. */
        double factor();
    }

    /** The same numbers in the same order, perhaps under another shape, times a factor. */
    private record InOrder(List<Long> from, List<Long> to, double factor) implements Arrangement {
        InOrder {
            from = List.copyOf(from);
            to = List.copyOf(to);
        }

        @Override
        public Tensor of(Tensor constant) {
            return times(constant, factor).reshape(array(to));
        }

        @Override
        public Tensor back(Tensor parameter) {
            return times(parameter, 1 / factor).reshape(array(from));
        }

        @Override
        public int axis(int ofConstant) {
            return from.equals(to) && factor == 1 ? ofConstant : -1;
        }
    }

    /** A matrix with rows and columns changed over, times a factor. */
    private record Transposed(double factor) implements Arrangement {
        @Override
        public Tensor of(Tensor constant) {
            return times(constant.t(), factor);
        }

        @Override
        public Tensor back(Tensor parameter) {
            return times(parameter.t(), 1 / factor);
        }

        @Override
        public int axis(int ofConstant) {
            return factor == 1 ? 1 - ofConstant : -1;
        }
    }

    /**
     * The parameter's numbers times their gradients, arranged as the constant is; that is what the
     * constant's numbers times theirs are.
     */
    public Tensor product(Tensor gradient) {
        Tensor product = module.parameter(parameter).mul(gradient);
        return times(arrangement.back(product), arrangement.factor());
    }

    private static Tensor times(Tensor tensor, double factor) {
        return factor == 1 ? tensor : tensor.mul(new Scalar(factor));
    }

    private static long[] array(List<Long> numbers) {
        return numbers.stream().mapToLong(Long::longValue).toArray();
    }

    /**
     * The parameters of a model that are constants of the file to the last bit, by their paths;
     * each constant is one parameter's. Of the others the file computes the values, or a layer has
     * them in another arrangement.
     *
     * @param chosen names of the constants that may be one
     */
    public static SequencedMap<String, ParameterOrigin> of(
            LoweredModel lowered, Predicate<String> chosen) {
        LoweredWeights origins = lowered.weights().orElseThrow();
        OnnxGraph graph = origins.prepared().graph();
        Set<String> taken = new HashSet<>();
        SequencedMap<String, ParameterOrigin> found = new LinkedHashMap<>();
        lowered.module()
                .namedModules()
                .forEach((path, module) -> {
                    OnnxNode node = origins.layers().get(path);
                    List<String> constants = node == null ? List.of() : constantsOf(graph, node);
                    for (String name : List.copyOf(module.ownParameters().keySet())) {
                        String full = path.isEmpty() ? name : path + "." + name;
                        String itself = origins.tensors().get(full);
                        for (String constant : itself == null ? constants : List.of(itself)) {
                            Optional<Arrangement> arrangement =
                                    taken.contains(constant) || !chosen.test(constant)
                                            ? Optional.empty()
                                            : arrangement(
                                                    module.parameter(name),
                                                    graph.constant(constant),
                                                    factors(node));
                            if (arrangement.isPresent()) {
                                taken.add(constant);
                                found.put(
                                        full,
                                        new ParameterOrigin(
                                                module, name, constant, arrangement.get()));
                                break;
                            }
                        }
                    }
                });
        return Collections.unmodifiableSequencedMap(found);
    }

    /** The constants that a layer may have been made of. */
    private static List<String> constantsOf(OnnxGraph graph, OnnxNode node) {
        List<String> constants = new ArrayList<>(node.inputs());
        OnnxNode next = graph.onlyReader(node.output());
        if (node.is("MatMul") && next != null && next.is("Add")) {
            constants.addAll(next.inputs());
        }
        constants.removeIf(name -> graph.constant(name) == null);
        return constants;
    }

    private static List<Double> factors(@Nullable OnnxNode node) {
        return node == null || !node.is("Gemm")
                ? List.of(1.0)
                : List.of(1.0, (double) node.number("alpha", 1), (double) node.number("beta", 1));
    }

    private static Optional<Arrangement> arrangement(
            Tensor parameter, @Nullable ConstantTensor constant, List<Double> factors) {
        if (constant == null || !constant.type().isFloating()) {
            return Optional.empty();
        }
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor numbers = constant.toTensor();
            return arrangements(constant, parameter, factors).stream()
                    .filter(arrangement -> isEqual(arrangement.of(numbers), parameter))
                    .findFirst();
        }
    }

    private static boolean isEqual(Tensor a, Tensor b) {
        return Arrays.equals(Tensors.shape(a), Tensors.shape(b))
                && Tensors.type(a) == Tensors.type(b)
                && a.equal(b);
    }

    private static List<Arrangement> arrangements(
            ConstantTensor tensor, Tensor parameter, List<Double> factors) {
        List<Arrangement> all = new ArrayList<>();
        List<Long> shape = Arrays.stream(Tensors.shape(parameter)).boxed().toList();
        for (double factor : factors) {
            if (tensor.shape().size() == 2 && shape.size() == 2) {
                all.add(new Transposed(factor));
            }
            if (tensor.elements() == parameter.numel()) {
                all.add(new InOrder(tensor.shape(), shape, factor));
            }
        }
        return all;
    }
}
