package io.espalier.onnx.slim;

import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.lower.LoweredModel;
import io.espalier.onnx.lower.Lowering;
import io.espalier.onnx.lower.ParameterOrigin;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.quant.CalibrationData;
import io.espalier.onnx.quant.ReferenceOutputs;
import io.espalier.onnx.quant.conv.FewExamples;
import io.espalier.slim.Group;
import io.espalier.slim.Place;
import io.espalier.slim.Unit;
import io.espalier.slim.UnitSums;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.SequencedMap;
import java.util.Set;

/**
 * What a loss changes without each unit, to first order: the square of what weights times their
 * gradients sum to, as a mean over examples (Molchanov et al., <a
 * href="https://arxiv.org/abs/1906.10771">Importance Estimation for Neural Network Pruning</a>,
 * 2019). Of the weights that read a unit this sum is exactly the unit's own value times its
 * gradient.
 */
final class FirstOrder {
    private static final int EXAMPLES = 64;

    private final Set<Place> reading;
    private final Map<Unit, Double> squares = new HashMap<>();

    private FirstOrder(Set<Place> reading) {
        this.reading = reading;
    }

    /**
     * Runs a model forwards and backwards.
     *
     * @param groups whose units are looked at
     * @throws EspalierException if libtorch can't run it, or not in little memory
     */
    static FirstOrder of(
            OnnxSlimmer slimmer,
            Collection<Group> groups,
            Optional<Importance.Loss> loss,
            CalibrationData data,
            Slimming.Listener listener) {
        OnnxModel model = slimmer.model();
        List<Map<String, Tensor>> examples = FewExamples.singly(model, data.batches(), EXAMPLES);
        if (examples.isEmpty()) {
            throw new EspalierException(
                    "Gradients need all values of an example in memory, and this model's are too"
                            + " many; choose another importance.");
        }
        var found = new FirstOrder(slimmer.analysis().places());
        LoweredModel lowered = lowered(model);
        List<ParameterOrigin> origins =
                List.copyOf(
                        ParameterOrigin.of(lowered, name -> model.graph().constant(name) != null)
                                .values());
        List<List<String>> labels = InputBatches.labels(examples, data.labels());
        var random = new Random(0);
        for (int e = 0; e < examples.size(); e++) {
            listener.at("finding gradients", e, examples.size());
            try (var scope = new PointerScope()) {
                SequencedMap<String, Tensor> results = lowered.run(examples.get(e));
                Tensor number =
                        loss.isPresent()
                                ? number(loss.get().of(results, labels.get(e)))
                                : ReferenceOutputs.projected(examples.get(e), results, random);
                found.add(products(number, origins), groups, 1.0 / examples.size());
            }
        }
        return found;
    }

    private static Tensor number(@Nullable Tensor loss) {
        Tensor given = Needed.given(loss, "the loss");
        if (given.numel() != 1 || !given.requires_grad()) {
            throw new EspalierException(
                    "The loss is to be one number that follows from the results; it is %s%s."
                            .formatted(
                                    Arrays.toString(Tensors.shape(given)),
                                    given.requires_grad() ? "" : " that follows from no weight"));
        }
        return given;
    }

    private static LoweredModel lowered(OnnxModel model) {
        try {
            LoweredModel lowered = Lowering.lower(model);
            lowered.module().eval();
            return lowered;
        } catch (EspalierException e) {
            throw new EspalierException(
                    "Gradients need a model that libtorch can run. %s Choose another importance."
                            .formatted(e.getMessage()),
                    e);
        }
    }

    /** Weights times their gradients, by the names of constants and in their arrangements. */
    private static Map<String, Tensor> products(Tensor sum, List<ParameterOrigin> origins) {
        if (!sum.requires_grad()) {
            throw new EspalierException(
                    "No weight has a gradient, since no result is of real numbers that follow from"
                            + " one; choose another importance.");
        }
        var parameters = new TensorVector();
        origins.forEach(
                origin -> parameters.push_back(origin.module().parameter(origin.parameter())));
        TensorVector gradients =
                torch.grad(
                        new TensorVector(sum),
                        parameters,
                        new TensorVector(),
                        new BoolOptional(false),
                        false,
                        true);
        Map<String, Tensor> products = new HashMap<>();
        try (var noGrad = new NoGradGuard()) {
            for (int i = 0; i < origins.size(); i++) {
                ParameterOrigin origin = origins.get(i);
                Tensor gradient = gradients.get(i);
                if (gradient.defined()) {
                    products.put(origin.constant(), origin.product(gradient));
                }
            }
        }
        return products;
    }

    private void add(Map<String, Tensor> products, Collection<Group> groups, double share) {
        var sums = UnitSums.of(products::get);
        for (Group group : groups) {
            for (Unit unit : group.units()) {
                Set<Place> places = places(unit, products.keySet());
                double sum = sums.of(unit, places::contains);
                if (!places.isEmpty()) {
                    squares.merge(unit, share * sum * sum, Double::sum);
                }
            }
        }
    }

    /** Where a unit is read; where it is at all if it is read nowhere. */
    private Set<Place> places(Unit unit, Set<String> known) {
        Set<Place> places = new HashSet<>(unit.slices().keySet());
        places.removeIf(place -> !known.contains(place.constant()));
        if (places.stream().anyMatch(reading::contains)) {
            places.retainAll(reading);
        }
        return places;
    }

    /** Whether some gradient reaches all units of a group. */
    boolean knows(Group group) {
        return squares.keySet().containsAll(group.units());
    }

    /** One for each unit. */
    double[] of(Group group) {
        return group.units().stream()
                .mapToDouble(unit -> squares.getOrDefault(unit, 0.0))
                .toArray();
    }
}
