package io.espalier.onnx.tune;

import io.espalier.onnx.fit.LayerBiases;
import io.espalier.onnx.fit.LayerRows;
import io.espalier.onnx.fit.NormalEquations;
import io.espalier.onnx.fit.ReferenceStream;
import io.espalier.onnx.fit.ValueStream;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Predicate;

/**
 * Fits a model to its teacher layer after layer, without gradients: each layer gets those weights
 * with which it gives, of what the fitted layers before it give, what the teacher's layer of the
 * same name gives, as nearly as least squares can. Weights that are zero stay zero. (As Frantar and
 * Alistarh, <a href="https://arxiv.org/abs/2208.11580">Optimal Brain Compression</a>, 2022, for a
 * mask that is given.)
 */
final class Reconstruction implements AutoCloseable {
    private final OnnxGraph student;
    private final ValueStream ofStudent;
    private final ReferenceStream ofTeacher;
    private final Predicate<String> mayChange;
    private final Map<String, Integer> studentReaders = new HashMap<>();
    private final Map<String, ConstantTensor> fitted = new LinkedHashMap<>();
    private final LayerBiases biases;

    /**
     * @param student its constants are in sight
     * @param teacher so are its
     * @param data what both are run on
     * @param mayChange which constants may get other values
     */
    Reconstruction(
            OnnxModel student,
            OnnxModel teacher,
            List<Map<String, Tensor>> data,
            Predicate<String> mayChange) {
        this.student = student.graph();
        this.mayChange = mayChange;
        this.ofStudent = stream(student, data, studentReaders);
        this.ofTeacher = new ReferenceStream(teacher, data);
        this.biases = new LayerBiases(this.student, fitted, mayChange, ofTeacher::makes);
    }

    private static ValueStream stream(
            OnnxModel model, List<Map<String, Tensor>> data, Map<String, Integer> readers) {
        OnnxGraph graph = model.graph();
        for (OnnxNode node : graph.nodes()) {
            node.reads().forEach(read -> readers.merge(read, 1, Integer::sum));
        }
        var stream = new ValueStream(model, data);
        graph.constants().forEach(stream::addConstant);
        stream.begin(() -> {
            Set<String> live = new HashSet<>();
            readers.forEach((value, left) -> {
                if (left > 0) {
                    live.add(value);
                }
            });
            return live;
        });
        return stream;
    }

    /** The layers that can be fitted, in order. */
    private List<OnnxNode> layers() {
        return student.nodes().stream().filter(node -> rows(node) != null).toList();
    }

    private @Nullable LayerRows rows(OnnxNode node) {
        ConstantTensor weight = node.inputs().size() < 2 ? null : student.constant(node.input(1));
        boolean fits =
                weight != null
                        && !student.constants().containsKey(node.input(0))
                        && weight.type().isFloating()
                        && mayChange.test(node.input(1))
                        && student.onlyReader(node.input(1)) == node
                        && ofTeacher.makes(node.output());
        return fits && weight != null ? LayerRows.of(node, weight.shape()).orElse(null) : null;
    }

    /**
     * Fits all layers that give as many channels as the teacher's.
     *
     * @param progress is told how many of how many layers are done
     * @return how many were fitted
     */
    int run(BiConsumer<Integer, Integer> progress) {
        List<OnnxNode> layers = layers();
        int done = 0;
        int fittedLayers = 0;
        for (OnnxNode node : student.nodes()) {
            LayerRows rows = rows(node);
            if (rows != null) {
                fittedLayers += fit(node, rows) ? 1 : 0;
                progress.accept(++done, layers.size());
            }
            ofStudent.add(node);
            node.reads().forEach(read -> studentReaders.merge(read, -1, Integer::sum));
        }
        return fittedLayers;
    }

    /** The constants that have other values now, by their names in the student. */
    Map<String, ConstantTensor> constants() {
        return fitted;
    }

    private boolean fit(OnnxNode node, LayerRows rows) {
        ConstantTensor held = Objects.requireNonNull(student.constant(node.input(1)));
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard();
                var sums = new NormalEquations()) {
            Tensor start = rows.matrix(held.toTensor().to(ScalarType.Float));
            Optional<LayerBiases.Bias> bias = biases.of(node, start.size(0) * start.size(1));
            String target = bias.map(LayerBiases.Bias::target).orElse(node.output());
            if (!isAsWide(node, start.size(0) * start.size(1), target)) {
                return false;
            }
            for (int batch = 0; batch < ofStudent.batches(); batch++) {
                try (var inner = new PointerScope()) {
                    Tensor x = ofStudent.value(node.input(0), batch);
                    Tensor y = ofTeacher.value(target, batch);
                    rows.addTo(sums, x.to(ScalarType.Float), y.to(ScalarType.Float));
                }
            }
            Tensor mask = start.ne(new Scalar(0));
            NormalEquations.Solution found = sums.solve(start, mask, bias.isPresent());
            put(node.input(1), rows.weight(found.weight()));
            bias.ifPresent(b -> put(b.name(), b.moved().apply(found.bias().reshape(-1))));
            return true;
        }
    }

    /** Channels that were taken out have nothing to be fitted to. */
    private boolean isAsWide(OnnxNode node, long outputs, String target) {
        Tensor wanted = ofTeacher.value(target, 0);
        boolean convolution = node.op().startsWith("Conv");
        return wanted.size(convolution ? 1 : wanted.dim() - 1) == outputs;
    }

    private void put(String name, Tensor tensor) {
        ConstantTensor before = Objects.requireNonNull(student.constant(name));
        ConstantTensor now = ConstantTensor.of(tensor.to(before.type().libtorch()));
        ConstantTensor same = before.withBytes(now.bytes());
        fitted.put(name, same);
        ofStudent.addConstant(name, same);
    }

    @Override
    public void close() {
        ofStudent.close();
        ofTeacher.close();
    }
}
