package io.espalier.quant.layer;

import io.espalier.nn.IntegerWeighted;
import io.espalier.nn.Module;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.Engine;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.PackedObject;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A layer whose weights are 8-bit integers or 16-bit floats and whose activations are floats, which
 * the kernel quantizes anew in each call.
 */
public abstract class DynamicLayer extends Module implements IntegerWeighted, SavedForm {
    private final Engine engine;
    private final int channelAxis;
    private final QuantizedType dtype;
    private volatile @Nullable List<PackedObject> packed;

    DynamicLayer(Engine engine, int channelAxis, QuantizedType dtype) {
        this.engine = engine;
        this.channelAxis = channelAxis;
        this.dtype = dtype;
    }

    /** How the weights of dynamic layers are stored. */
    record Storage(Engine engine, int channelAxis, QuantizedType dtype) {
        static Storage of(Packing packing) {
            Observer observer = packing.weight().made();
            return new Storage(packing.engine(), observer.channelAxis(), observer.dtype());
        }

        static Storage read(Map<String, String> attributes) {
            QuantizedType dtype = Attributes.choice(attributes, "dtype", QuantizedType.class);
            if (dtype != QuantizedType.QINT8 && dtype != QuantizedType.FLOAT16) {
                throw new EspalierException(
                        "weights of dynamic layers are QINT8 or FLOAT16, not " + dtype);
            }
            return new Storage(
                    Attributes.engine(attributes), Attributes.channelAxis(attributes), dtype);
        }
    }

    DynamicLayer(Storage storage) {
        this(storage.engine(), storage.channelAxis(), storage.dtype());
    }

    /** Keeps a float weight in the layer's type. */
    final void addWeight(String place, String name, Tensor weight, Packing packing) {
        if (dtype == QuantizedType.FLOAT16) {
            addBuffer(name, HalfPrecision.half(place + "." + name, weight));
        } else {
            IntegerWeight.of(place + "." + name, weight, packing).addTo(this, name);
        }
    }

    /**
     * Keeps a weight as a file has it.
     *
     * @param shape what it must have, with −1 where any size is right
     */
    final void addWeight(Map<String, Tensor> tensors, String name, long... shape) {
        IntegerWeight.requireShape(name, QuantizedLayer.required(tensors, name), shape);
        if (dtype == QuantizedType.FLOAT16) {
            IntegerWeight.requireType(name, tensors, ScalarType.Half);
            addBuffer(name, QuantizedLayer.required(tensors, name));
        } else {
            IntegerWeight weight = IntegerWeight.read(tensors, name, channelAxis);
            weight.requireRunsOn(name, engine);
            weight.addTo(this, name);
        }
    }

    /** A weight as the packing operators take it: quantized, or in floats. */
    final Tensor forPacking(String name) {
        return dtype == QuantizedType.FLOAT16
                ? buffer(name).to(ScalarType.Float)
                : IntegerWeight.read(ownBuffers(), name, channelAxis).quantized();
    }

    /** The names of the weights. */
    abstract List<String> weightNames();

    @Override
    public final Map<String, Tensor> floatWeights() {
        Map<String, Tensor> weights = new LinkedHashMap<>();
        weightNames().forEach(name -> weights.put(name, QFunctional.inFloat(forPacking(name))));
        return weights;
    }

    /** Packs the weights with the current engine. */
    abstract List<PackedObject> pack();

    /**
     * The packed weights, which are made when they are first asked for.
     *
     * @throws EspalierException if this platform does not have the layer's engine
     */
    final List<PackedObject> packed() {
        List<PackedObject> known = packed;
        return known == null ? engine.during(this::packNow) : known;
    }

    private List<PackedObject> packNow() {
        List<PackedObject> known = packed;
        if (known == null) {
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                known = pack();
            }
            packed = known;
        }
        return known;
    }

    final boolean isFloat16() {
        return dtype == QuantizedType.FLOAT16;
    }

    final QuantizedType dtype() {
        return dtype;
    }

    final Qscheme weightScheme() {
        return channelAxis < 0 ? Qscheme.PER_TENSOR_AFFINE : Qscheme.PER_CHANNEL_AFFINE;
    }

    @Override
    protected void stateLoaded() {
        packed = null;
    }

    @Override
    public boolean takesIntegers() {
        return false;
    }

    @Override
    public Map<String, String> attributes() {
        Map<String, String> attributes = PackedLayer.attributes(engine, channelAxis);
        attributes.put("dtype", dtype.name());
        return attributes;
    }

    @Override
    public boolean isAtomic() {
        return true;
    }
}
