package io.espalier.onnx.tune;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.quant.conv.PortableForm;
import io.espalier.onnx.quant.half.OpenedHalves;
import io.espalier.onnx.repair.Repair;
import io.espalier.onnx.shape.Shapes;
import io.espalier.onnx.tune.SimulatedIntegers.Simulation;
import io.espalier.tensor.EspalierException;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A file that computes in 8-bit integers. It trains in floats that are rounded as it rounds, by the
 * scales that it has, so that what is trained is what it computes; its integers are then those
 * nearest to the weights.
 */
final class IntegerFile implements TrainableFile {
    private final OnnxModel integers;
    private final Shapes shapes;
    private final Simulation simulation;
    private final Shapes simulated;
    private final boolean isSparse;

    /**
     * For a file.
     *
     * @param isSparse whether zeros are no accident, and stay
     */
    IntegerFile(OnnxModel model, boolean isSparse) {
        this.integers = model.rewritten(IntegerFile::unshare);
        this.shapes = Shapes.of(integers);
        OnnxModel raised = Repair.raised(integers, PortableForm.SINCE_OPSET);
        if (raised.opset() < PortableForm.SINCE_OPSET) {
            throw new EspalierException(
                    ("Integers are trained in operators of version %d of the standard; this model"
                         + " is of version %d and calls some that can't be written so: export it in"
                         + " a later version, or fit integers without training (toIntegers(), on"
                         + " the command line --int8).")
                            .formatted(PortableForm.SINCE_OPSET, raised.opset()));
        }
        OnnxModel portable = PortableForm.of(raised);
        this.simulation = SimulatedIntegers.of(OpenedHalves.open(portable));
        this.simulated = Shapes.of(simulation.model());
        this.isSparse = isSparse;
    }

    /** Gives each layer a weight and a bias of its own. */
    private static void unshare(OnnxGraph graph) {
        Set<String> taken = new HashSet<>();
        for (OnnxNode node : graph.nodes()) {
            OnnxNode own = node;
            for (int place : heldPlaces(node)) {
                ConstantTensor constant = graph.constant(node.input(place));
                if (constant != null && !taken.add(node.input(place))) {
                    own = own.withInput(place, graph.addConstant(node.input(place), constant));
                }
            }
            if (!own.equals(node)) {
                graph.replace(node, own);
            }
        }
    }

    private static List<Integer> heldPlaces(OnnxNode node) {
        return switch (node.op()) {
            case "QLinearConv" -> List.of(3, 8);
            case "MatMulIntegerToFloat" -> List.of(1, 6);
            default -> List.of();
        };
    }

    @Override
    public OnnxModel lowerable() {
        return simulation.model();
    }

    @Override
    public Optional<HeldWeight> held(String value) {
        return HeldWeight.of(simulation.model().graph(), simulated, value)
                .filter(weight -> isHeld(weight.name()))
                .or(() -> HeldWeight.of(integers.graph(), shapes, value));
    }

    @Override
    public void prepare(TrainableWeights weights) {
        weights.keepTo(this::isHeld);
        weights.round(simulation.weights());
        if (isSparse) {
            weights.keepZeros();
        }
    }

    private boolean isHeld(String name) {
        if (simulation.weights().containsKey(name)) {
            return true;
        }
        OnnxNode node = integers.graph().producer(name);
        return integers.graph().constant(name) != null || (node != null && node.is("Constant"));
    }

    @Override
    public OnnxModel with(TrainableWeights weights) {
        Map<String, ConstantTensor> now = weights.now();
        OnnxModel changed =
                integers.rewritten(graph ->
                        now.forEach((name, floats) -> {
                            SimulatedIntegers.HeldIntegers held = simulation.weights().get(name);
                            if (held == null) {
                                HeldWeight.replace(graph, name, floats);
                            } else {
                                graph.setConstant(held.name(), held.nearest(floats));
                            }
                        }));
        return Repair.run(changed, List.of(Repair.pass("shared-constants"))).model();
    }
}
